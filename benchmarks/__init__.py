"""Speed compared with other libraries and with the machine's limit: make bench."""
