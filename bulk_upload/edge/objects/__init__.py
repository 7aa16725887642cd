"""Objects in stores and on web servers, through obstore: looked up, listed, and read once to be sent."""
