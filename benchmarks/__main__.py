"""All benchmarks, one after another, as run by ``make bench``."""

import sys

from benchmarks import (
    audit,
    discovery,
    fairness,
    fulfilment,
    importing,
    planning,
    processes,
    requests,
    scale,
    start,
)

if __name__ == "__main__":
    quick = "--quick" in sys.argv
    sys.argv[1:] = ["--documents", "20000", "--rounds", "3"] if quick else []
    requests.main()
    sys.argv[1:] = ["--rounds", "1"] if quick else []
    processes.main()
    sys.argv[1:] = ["--documents", "100000", "--rounds", "50"] if quick else []
    scale.main()
    sys.argv[1:] = ["--quick"] if quick else []
    fulfilment.main()
    sys.argv[1:] = []
    planning.main()
    sys.argv[1:] = ["--quick"] if quick else []
    discovery.main()
    audit.main()
    sys.argv[1:] = ["--rows", "2000", "--rounds", "1"] if quick else []
    importing.main()
    sys.argv[1:] = ["--rounds", "1"] if quick else []
    fairness.main()
    sys.argv[1:] = ["--rounds", "2"] if quick else []
    start.main()
