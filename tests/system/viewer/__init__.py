"""The scripts of the dashboard's page: their style, and the libraries beside them."""
