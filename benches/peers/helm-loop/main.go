// Renders one chart again and again with Helm's own engine as a library, and prints the nanoseconds of one render.
//
// What is done once: the chart is loaded and its dependencies are processed. What is done each time: values are merged,
// templates rendered, manifests sorted, as `helm template` does it.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: helm-loop CHART MILLISECONDS")
		os.Exit(2)
	}
	milliseconds, err := strconv.Atoi(os.Args[2])
	check(err)
	chart, err := loader.Load(os.Args[1])
	check(err)
	given := map[string]any{}
	check(chartutil.ProcessDependencies(chart, given))
	options := common.ReleaseOptions{Name: "rel", Namespace: "ns1", Revision: 1, IsInstall: true}
	render := func() {
		values, err := util.ToRenderValuesWithSchemaValidation(chart, given, options, common.DefaultCapabilities, false)
		check(err)
		files, err := engine.Engine{}.Render(chart, values)
		check(err)
		for name := range files {
			if len(name) >= 9 && name[len(name)-9:] == "NOTES.txt" {
				delete(files, name)
			}
		}
		_, _, err = releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
		check(err)
	}
	render()
	limit := time.Duration(milliseconds) * time.Millisecond
	rounds := 0
	start := time.Now()
	for rounds < 3 || time.Since(start) < limit {
		render()
		rounds++
	}
	fmt.Println(time.Since(start).Nanoseconds() / int64(rounds))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
