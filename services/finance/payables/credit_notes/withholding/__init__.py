"""Tax that was withheld from payments of which credit notes take back a part."""
