// npm run demo [-- --stay]
// Bookinfo on inmesh: plain Node processes, a control plane, and one line for each thing a mesh must do.
import { Bookinfo } from './bookinfo.ts'
import { claims } from './claims.ts'
import { Report } from './report.ts'

const report = new Report()
report.line('Bookinfo on inmesh: every service its own process, and no sidecar.\n')
report.progress('starting the control plane, twelve instances and traffic')
const app = await Bookinfo.start()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.stop().finally(() => process.exit(130)))

try {
  for (const { name, show } of claims) {
    report.progress(name)
    const { held, figures } = await show(app)
    report.claim(name, held, figures)
  }
  report.line('\nWho called whom, from the metrics exported over OTLP:')
  report.table(app.receiver.calls())
} catch (error) {
  report.claim('the demo ran to its end', false, error instanceof Error ? error.message : String(error))
}
const code = report.end()

if (process.argv.includes('--stay')) {
  report.line(`\nStill running, and following ${app.configDir}. Ctrl-C ends it.`)
  await new Promise(() => {})
}
await app.stop()
process.exit(code)
