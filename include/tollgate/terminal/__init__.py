"""How an answer looks to the person at the terminal."""
