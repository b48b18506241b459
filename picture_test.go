package emujail

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-graphviz"
)

// TestPictures: each picture of docs/pictures is what its source draws, and is
// shown somewhere.
func TestPictures(t *testing.T) {
	sources, err := filepath.Glob("docs/pictures/*.dot")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources of pictures: %v", err)
	}
	for _, source := range sources {
		svg := strings.TrimSuffix(source, ".dot") + ".svg"
		want := draw(t, source)
		if *update {
			if err := os.WriteFile(svg, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(svg); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s draws (%v): run make man", svg, source, err)
		}
		if !shown(t, filepath.Base(svg)) {
			t.Errorf("%s is shown in no document", svg)
		}
	}
}

func draw(t *testing.T, source string) []byte {
	t.Helper()
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	g, err := graphviz.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	graph, err := graphviz.ParseBytes(text)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	defer graph.Close()
	var b bytes.Buffer
	if err := g.Render(ctx, graph, graphviz.SVG, &b); err != nil {
		t.Fatalf("draw %s: %v", source, err)
	}
	return b.Bytes()
}

// shown tells whether a document names the file.
func shown(t *testing.T, name string) bool {
	t.Helper()
	for _, doc := range documents(t) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return false
}

// documents are the Markdown files of the checkout that people read.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "dist/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}
