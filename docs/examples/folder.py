"""A folder: each file gets the purpose that it is for, and what cannot be told is named."""

from bulk_upload import upload

result = upload("data", exclude=["*.tmp"], progress=True)
for words in result.left_out:
    print(words)
print(result.summary())
