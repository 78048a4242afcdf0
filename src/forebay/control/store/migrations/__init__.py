"""How the database becomes what the code expects, one revision after the other, in a single line."""
