package main

// inside is the figures of jails that have something to configure and to do:
// from BOOTING to ISUP, and of their traffic generators. Taken as [jailed] are.
func inside() []figure {
	return []figure{
		{name: "isup", limit: 15, measure: jailFigure("isup")},
		{name: "requests", limit: 6, measure: jailFigure("requests")},
		{name: "storm_20", limit: 8, measure: jailFigure("storm_20")},
		{name: "restart", limit: 0.8, measure: jailFigure("restart")},
		{name: "mem_agents", unit: "MiB", limit: 6, measure: jailFigure("mem_agents")},
		{name: "pace", unit: "%", limit: 1, measure: jailFigure("pace")},
		{name: "react", unit: "ms", limit: 100, measure: jailFigure("react")},
		{name: "cbr_20", unit: "%", limit: 2, measure: jailFigure("cbr_20")},
		{name: "bulk", limit: 0.9, least: true, measure: jailFigure("bulk")},
	}
}
