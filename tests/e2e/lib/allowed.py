"""What the user that runs the tests has been given: a nice value, a limit of descriptors."""
import os
import resource

SPARE = 150     # descriptors that udsd and the test have besides


def niceness(value):
    """What a process has that is started with `nice = value`, which is added to our own."""
    return str(max(-20, min(19, os.nice(0) + value)))


def as_many_as(count, each=1):
    """So many services, or as many as there are descriptors for; each needs so many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return count if hard == resource.RLIM_INFINITY else min(count, (hard - SPARE) // each)
