package main

import (
	"context"
	"fmt"
)

// bossinfo is the one command that no tmcd answers: name and address of boss.
const bossinfo = "bossinfo"

func (q *question) bossinfo(ctx context.Context) error {
	boss, err := q.findBoss(q.line, q.log).Find(ctx)
	if err != nil {
		return err
	}
	if q.line.JSON {
		return q.writeJSON(struct{ Name, Address string }{boss.Name, boss.Addrs[0].String()})
	}
	_, err = fmt.Fprintf(q.stdout, "%s %s\n", boss.Name, boss.Addrs[0])
	return err
}
