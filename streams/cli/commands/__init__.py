"""The commands of `stoplog`: a module for each, or a folder where a group of commands has several."""
