"""The pure part: what an event does to a profile. No I/O, no clock.

Profiles stay protobuf messages here: C parses and writes them (about 2 µs each way, beside some 20 µs for a whole
fold with eight traits), which no dataclass of the same content comes near, and the message is the contract anyway.
"""
