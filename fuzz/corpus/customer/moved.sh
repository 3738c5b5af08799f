#!/bin/sh
# moved
export XTK_VAR_DIR="/data/campaign"
PATH=$PATH:/opt
export PATH
