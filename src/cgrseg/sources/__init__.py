"""Sources of images that are not held whole: they are read a part at a time."""
