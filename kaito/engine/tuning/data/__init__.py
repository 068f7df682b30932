"""The data of a training, read once from end to end before anything costly begins.

`files` finds what there is, `text`, `jsons` and `tables` read records of it one by one, `forms`
says what a record means, `check` goes through all of them, and `store` keeps them for the workers.
What is said about data names file, place and column, and never quotes it.
"""
