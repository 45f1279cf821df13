"""Facts and types that everything else stands on."""
