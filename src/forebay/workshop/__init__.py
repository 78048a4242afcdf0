"""Where models are made: trained, converted, compressed. Knows no tenant and works in a notebook."""
