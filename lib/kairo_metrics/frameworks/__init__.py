"""Write street, second part: what a framework knows of a request, its route and the exception it has answered."""
