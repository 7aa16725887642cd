"""A discrete-event simulation of servers, links and uploading clients, in virtual time, seeded."""
