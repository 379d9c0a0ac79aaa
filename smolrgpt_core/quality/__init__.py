"""Whether a data set is sound: its files, what it asks, what words alone tell, and a look at it."""
