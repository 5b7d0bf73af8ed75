// RATE=100 node --import inmesh/register traffic.js
// Calls the product page at a steady rate and tells the parent process what it saw, when asked.
const rate = Number(process.env.RATE ?? 100)
let seen

const reset = () => {
  seen = {
    calls: 0,
    failed: 0,
    failures: {},
    productpage: {},
    details: {},
    reviews: {},
    versions: {},
    ratings: {},
    ratingsVersions: {},
    byUser: {},
    latencies: [],
    lastSeen: {},
  }
}

async function call(user) {
  const begun = performance.now()
  const into = seen
  let page
  try {
    const answer = await fetch('http://productpage:9080/productpage', { headers: user ? { 'end-user': user } : {} })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${answer.status}: ${text}`)
    page = JSON.parse(text)
  } catch (error) {
    into.failed++
    const reason = String(error.cause ?? error)
    into.failures[reason] = (into.failures[reason] ?? 0) + 1
  }
  into.calls++
  into.latencies.push(performance.now() - begun)
  if (!page) return
  const count = (where, key) => {
    where[key] = (where[key] ?? 0) + 1
  }
  count(into.productpage, page.instance)
  count(into.details, page.details.instance)
  count(into.reviews, page.reviews.instance)
  count(into.versions, page.reviews.version)
  if (page.reviews.ratings) {
    count(into.ratings, page.reviews.ratings.instance)
    count(into.ratingsVersions, page.reviews.ratings.version)
  }
  into.byUser[user ?? 'others'] ??= {}
  count(into.byUser[user ?? 'others'], page.reviews.version)
  into.lastSeen[page.reviews.version] = Date.now()
}

reset()
let sent = 0
const begun = performance.now()
setInterval(() => {
  for (const due = ((performance.now() - begun) / 1000) * rate; sent < due; sent++) call(sent % 4 === 0 ? 'jason' : undefined)
}, 5)

process.on('message', question => {
  process.send(seen)
  if (question === 'reset') reset()
})
process.on('disconnect', () => process.exit())
