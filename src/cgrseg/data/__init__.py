"""Files and pictures in, arrays and batches out; nothing here knows a network."""
