"""What bulk-upload is measured beside: other clients, other validators, and what the machine allows."""
