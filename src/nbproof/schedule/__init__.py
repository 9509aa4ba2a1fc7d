"""Work that starts by itself: when its time comes, when its data has arrived, or when something asks for it."""
