"""Objects in stores and on web servers, through obstore: looked up, listed, and read once to be sent."""

from bulk_upload.edge.objects.listing import ListedObject, objects_under
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores

__all__ = ["ListedObject", "Lookup", "ObjectReader", "Stores", "objects_under"]
