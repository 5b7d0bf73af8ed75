// node --import inmesh/register stranger.js
// Has an identity, and calls what is not for it; tells the parent process what it was answered, when asked.
process.on('message', async () => {
  try {
    const answer = await fetch('http://reviews:9080/reviews/0')
    process.send(`${answer.status} ${await answer.text()}`)
  } catch (error) {
    process.send(String(error.cause ?? error))
  }
})
process.on('disconnect', () => process.exit())
