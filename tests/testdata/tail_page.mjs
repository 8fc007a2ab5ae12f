// Runs the script of examples/tail.html as a browser would, with as little of a browser as it needs, and prints what it shows.
import { readFileSync } from 'node:fs'
const [page, search] = process.argv.slice(2)
const script = /<script>([\s\S]*)<\/script>/.exec(readFileSync(page, 'utf8'))[1]
const elements = { h1: { textContent: '' }, pre: { append: text => process.stdout.write(text) } }
globalThis.location = { search }
globalThis.document = { querySelector: name => elements[name] }
new Function(script)()
