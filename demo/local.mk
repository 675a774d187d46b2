# ./bootstrap demo runs it; it uses the harness of the live tests.
EXTRA_DIST += demo/demo demo/crms.py demo/people.py demo/topology.yaml
