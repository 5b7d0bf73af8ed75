import { report, settings } from '../contender.ts'
import { call, makeClient, type Which } from './client.ts'

const { which, port, updates, intervalMs } = settings<{ which: Which; port: number; updates: number; intervalMs: number }>()

const threadMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
const during = (count: number) => new Promise(resolve => setTimeout(resolve, count * intervalMs))

const client = await makeClient(which, port)
await call(client)
// Neither client says when it has taken an update over: what is measured is a time in which so many come.
await during(5)
const before = process.cpuUsage()
await during(updates)
const used = process.cpuUsage(before)

let [work, longestBlockMs] = [threadMs(), 0]
const sampler = setInterval(() => {
  const done = threadMs()
  longestBlockMs = Math.max(longestBlockMs, done - work)
  work = done
}, 1)
await during(updates)
clearInterval(sampler)
await call(client)
report({ value: (used.user + used.system) / 1000 / updates, longestBlockMs })
process.exit()
