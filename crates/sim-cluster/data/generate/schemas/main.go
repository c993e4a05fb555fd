// Writes ../schemas.gz: the schemas that the API server publishes for the groups that sim-cluster serves, one a line:
// name, tab, JSON. FOLDER holds what a running server answers: for /openapi/v3/apis/apps/v1 a file
// apis__apps__v1_openapi.json. Run: go run ./schemas FOLDER > ../schemas.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const served = `api__v1 apis__admissionregistration.k8s.io__v1 apis__apiextensions.k8s.io__v1 apis__apiregistration.k8s.io__v1
apis__apps__v1 apis__authentication.k8s.io__v1 apis__authorization.k8s.io__v1 apis__autoscaling__v1 apis__autoscaling__v2 apis__batch__v1
apis__coordination.k8s.io__v1 apis__discovery.k8s.io__v1 apis__events.k8s.io__v1 apis__networking.k8s.io__v1 apis__policy__v1
apis__rbac.authorization.k8s.io__v1 apis__scheduling.k8s.io__v1 apis__storage.k8s.io__v1`

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	schemas := map[string]json.RawMessage{}
	for _, name := range strings.Fields(served) {
		text, err := os.ReadFile(filepath.Join(os.Args[1], name+"_openapi.json"))
		check(err)
		var document struct {
			Components struct {
				Schemas map[string]json.RawMessage `json:"schemas"`
			} `json:"components"`
		}
		check(json.Unmarshal(text, &document))
		for name, schema := range document.Components.Schemas {
			var compact bytes.Buffer
			check(json.Compact(&compact, schema))
			schemas[name] = compact.Bytes()
		}
	}
	var names []string
	for name := range schemas {
		names = append(names, name)
	}
	sort.Strings(names)
	packed, err := gzip.NewWriterLevel(os.Stdout, gzip.BestCompression)
	check(err)
	for _, name := range names {
		_, err := fmt.Fprintf(packed, "%s\t%s\n", name, schemas[name])
		check(err)
	}
	check(packed.Close())
}
