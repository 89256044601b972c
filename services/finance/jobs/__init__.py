"""Work that comes again by the calendar, run as operations with a log."""
