"""Images of data sets: fetched, decoded, packed once, split; what is to be known of them."""
