package emujail

import "flag"

var update = flag.Bool("update", false, "write manual pages and pictures anew")
