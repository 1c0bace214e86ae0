//! What must come before what: between addons and between objects.
