"""The scripts of the dashboard's page: their style, and the libraries that lie beside them."""
