"""Files and images in, arrays and batches out; nothing here knows a network."""
