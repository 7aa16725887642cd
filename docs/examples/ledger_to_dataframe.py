"""A ledger as a DataFrame: also while a run is active."""

import pandas as pd

from bulk_upload import read_ledger

frame = pd.DataFrame(read_ledger("manifest.ledger.db"))
print(frame)
