import { readdirSync, readFileSync } from 'node:fs'

/** CPU time that all threads of a process have used, in microseconds (Linux: `/proc/PID/task/TID/schedstat`). */
export function processCpu(pid: number): number {
  const tasks = `/proc/${pid}/task`
  let nanoseconds = 0
  for (const task of readdirSync(tasks)) nanoseconds += Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0])
  return nanoseconds / 1000
}

/** Resident memory of a process in megabytes. */
export function processMemory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
