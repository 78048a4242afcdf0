"""A model in a process of its own: what runs there, how it is started, what is said between the two.

The node's end knows nothing of the model but its answers, and believes none of them unseen: a frame
that is none, an answer that is late and an answer of the wrong kind all end the process.
"""
