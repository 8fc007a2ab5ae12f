package config

// nearestOf is ", did you mean KEY?" for a key that is not far from a known one, else empty.
func nearestOf(key string) string {
	best, bestDistance := "", max(2, len(key)/3)+1
	for _, k := range table {
		if d := distance(key, k.Name); d < bestDistance {
			best, bestDistance = k.Name, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is Levenshtein's, over bytes: keys are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j]+1, row[j+1]+1, diagonal+cost(a[i], b[j]))
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

func cost(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}
