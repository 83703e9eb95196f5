//! What is said in the benchmarks: the speaker and a number, which members check, and then what people write to each other, since
//! that is what is compressed.

/// Lines of a chat. Nothing in it comes twice on purpose.
const CHAT: &str = "morning all, did the deploy go through last night? yes, around eleven, two of the workers had to be \
restarted by hand but nothing was lost. ok good. I saw a few timeouts on the dashboard though, do we know what that was? \
probably the backup, it starts at the same time. I can move it to four if nobody minds. fine with me, please also write it \
down somewhere, last time we forgot and Marta was looking for it half the day. haha yes, sorry about that. by the way, who is \
coming to lunch? the new place next to the station has soup today. I'm in, can we go a bit later, I have a call until half \
past twelve? sure, let's meet downstairs at quarter to one. can somebody have a look at my branch before that? it is only the \
form and two tests, the one for the empty name fails on my machine but not on the server, no idea why. did you run the \
migration? oh. no. well, that explains it, thanks! you're welcome :) one more thing: the customer from Lisbon asked again \
whether they can export the list as a spreadsheet, I told them next week, is that realistic? I think so, the query is there \
already, it only needs a button and somebody who checks the dates, they had trouble with time zones before. I'll take it then. \
great, I'll tell them Thursday. don't promise too much, we still have the report to finish. true, but that one is nearly done, \
only the pictures are missing. has anyone seen my headphones? grey ones, they were on the desk by the window yesterday. ";

/// What a speaker says as its number so many: a text of so many bytes.
pub fn said(speaker: usize, number: u32, length: usize) -> String {
    let mut text = format!("{speaker} {number} ");
    // Each time from another place, so that no message is the beginning of another.
    let begin = (speaker * 131 + number as usize * 37) % CHAT.len();
    text.extend(CHAT.chars().cycle().skip(begin).take(length.saturating_sub(text.len())));
    assert_eq!(text.len(), length, "room for the numbers");
    text
}

/// Who said a text, and as its number so many; it has to be that text to the letter.
pub fn checked(text: &str, length: usize) -> (usize, u32) {
    let mut words = text.split_whitespace();
    let mut word = || words.next().expect("a number").parse::<u32>().expect("a number");
    let (speaker, number) = (word() as usize, word());
    assert_eq!(text, said(speaker, number, length), "what was said");
    (speaker, number)
}
