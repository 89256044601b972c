"""The bounded contexts. A service never imports another: they meet in protos and events alone."""
