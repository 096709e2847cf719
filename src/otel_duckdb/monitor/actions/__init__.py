"""What the monitor may do about an alert: each action off unless switched on, and none that can harm the program."""
