"""The report: what the pages show, in one HTML file that needs no server and no network."""
