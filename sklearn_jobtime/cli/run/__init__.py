"""What each command does, in a file of the command's name."""
