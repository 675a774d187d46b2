/* The status page keeps itself fresh: asks for itself again and puts what came into the place of what is shown. */
"use strict";
{
	const EVERY = 5000, PATIENCE = 10000;
	const silence = document.getElementById("silence");
	let heard = new Date(), asking = false, timer;

	const say = (words, lost) => {
		silence.hidden = !words;
		silence.classList.toggle("lost", lost);
		if (silence.textContent !== words)
			silence.textContent = words;
	};

	/* Only whole pages are shown: something else may answer at this address by now. */
	const ask = async () => {
		const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
		/* What is parsed stands under this page's policy, which does not know the new style's nonce; nor is it needed again. */
		const text = (await answer.text()).replace(/<style[^]*?<\/style>/, "");
		const page = new DOMParser().parseFromString(text, "text/html");

		if (!page.querySelector("main.crmsyncd"))
			throw new Error("not our page");
		return page;
	};

	const show = page => {
		const y = scrollY;

		document.querySelector("main").replaceWith(page.querySelector("main"));
		document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
		document.title = page.title;
		scrollTo(0, y);
	};

	const refresh = async () => {
		if (asking || document.hidden)
			return;
		asking = true;
		clearTimeout(timer);
		try {
			const page = await ask();

			heard = new Date();
			/* Whoever is about to copy something must not lose it. */
			if (getSelection().isCollapsed) {
				show(page);
				say("", false);
			} else {
				say("Stands still while text is selected.", false);
			}
		} catch {
			say(`Not answering since ${heard.toLocaleTimeString()}; what is shown is from before.`, true);
		}
		asking = false;
		timer = setTimeout(refresh, EVERY);
	};

	document.addEventListener("visibilitychange", refresh);
	timer = setTimeout(refresh, EVERY);
}
