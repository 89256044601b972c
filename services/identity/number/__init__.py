"""Identity numbers of a country: their structure, what is impossible, what is odd."""
