"""Objects in stores, on web servers, on the Hugging Face Hub and on filesystems: looked up, listed, and read once to be sent."""
