"""The report as one file of HTML, which loads nothing and can be forwarded as it is."""
